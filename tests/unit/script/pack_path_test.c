#include "script/lab.h"

/* As Lua's own grammar has it: t.name, and t["other"]. */
static void a_path_has_names_bare_and_other_keys_quoted(void **state)
{
    struct lab *lab = *state;
    for (int c = ' '; c < 0x7f; c++) {
        bool digit = c >= '0' && c <= '9';
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        for (int first = 0; first < 2; first++) {
            char text[80], want[80];
            struct buf out;
            struct err e;
            const char *form = first ? "%cq" : "q%c";
            bool bare = letter || (digit && !first);
            snprintf(text, sizeof text,
                     first ? "return { ['\\%dq'] = type }" : "return { ['q\\%d'] = type }", c);
            snprintf(want, sizeof want, bare ? "value." : "value[\"");
            snprintf(want + strlen(want), 8, form, c);
            strcat(want,
                   bare ? ": a function cannot be packed" : "\"]: a function cannot be packed");
            buf_init(&out, 0);
            lab_get(lab, text);
            assert_int_equal(value_pack(lab->vm->L, &lab->sandbox.marks, -1, "value", &out, &e),
                             ERR_BAD_VALUE);
            assert_string_equal(e.text, want);
            buf_fini(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(a_path_has_names_bare_and_other_keys_quoted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
