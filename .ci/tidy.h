/* Included before every file that clang-tidy reads: what its analyzer cannot see from one file
 * alone.
 *
 * err_set returns the code that it was given. Lists are functions without a body: it cannot follow
 * pointers through them and would tell of memory that is used after it was freed. */
#include "base/err.h"
#include "base/list.h"

#define err_set(e, code, ...) (err_set(e, code, __VA_ARGS__), (code))

void tidy_list_init(struct list *head);
void tidy_list_change(struct list *a, struct list *b);
struct list *tidy_list_pop(struct list *head);

#define list_init(head)             tidy_list_init(head)
#define list_push_back(head, link)  tidy_list_change(head, link)
#define list_push_front(head, link) tidy_list_change(head, link)
#define list_remove(link)           tidy_list_init(link)
#define list_pop_front(head)        tidy_list_pop(head)
#define list_splice(to, from)       tidy_list_change(to, from)
