#include "script/file_texts.h"

#include <stdlib.h>
#include <string.h>

struct file_text {
    struct file_text *next;
    char *dir, *file;
    char *data;
    size_t size;
};

struct file_texts {
    int refs;
    struct file_text *first;
};

struct file_texts *file_texts_new(void)
{
    struct file_texts *t = calloc(1, sizeof *t);
    if (t)
        t->refs = 1;
    return t;
}

struct file_texts *file_texts_ref(struct file_texts *t)
{
    t->refs++;
    return t;
}

static void free_text(struct file_text *k)
{
    free(k->dir);
    free(k->file);
    free(k->data);
    free(k);
}

void file_texts_unref(struct file_texts *t)
{
    if (!t || --t->refs > 0)
        return;
    for (struct file_text *k = t->first, *next; k; k = next) {
        next = k->next;
        free_text(k);
    }
    free(t);
}

static struct file_text *find(const struct file_texts *t, const char *dir, const char *file)
{
    struct file_text *k = t->first;
    while (k && (strcmp(k->file, file) != 0 || strcmp(k->dir, dir) != 0))
        k = k->next;
    return k;
}

bool file_texts_find(const struct file_texts *t, const char *dir, const char *file,
                     struct slice *text)
{
    const struct file_text *k = find(t, dir, file);
    if (k)
        *text = slice_of(k->data, k->size);
    return k != NULL;
}

static struct file_text *add(struct file_texts *t, const char *dir, const char *file)
{
    struct file_text *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->dir = strdup(dir);
    k->file = strdup(file);
    if (!k->dir || !k->file) {
        free_text(k);
        return NULL;
    }
    k->next = t->first;
    t->first = k;
    return k;
}

bool file_texts_keep(struct file_texts *t, const char *dir, const char *file, struct slice text)
{
    struct file_text *k = find(t, dir, file);
    char *data = malloc(text.size + 1);
    if (!data || (!k && !(k = add(t, dir, file)))) {
        free(data);
        return false;
    }
    if (text.size > 0)
        memcpy(data, text.data, text.size);
    free(k->data);
    k->data = data;
    k->size = text.size;
    return true;
}
