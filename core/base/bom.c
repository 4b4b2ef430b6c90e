#include "base/bom.h"

const char *bom_of(struct slice text)
{
    static const struct {
        const char *bytes, *what;
    } marks[] = {
        {"\xEF\xBB\xBF", "the file begins with a byte order mark (BOM), the invisible bytes "
                         "EF BB BF; save it as UTF-8 without BOM"},
        {"\xFF\xFE", "the file is UTF-16, it begins with the bytes FF FE; save it as UTF-8 without "
                     "BOM"},
        {"\xFE\xFF", "the file is UTF-16, it begins with the bytes FE FF; save it as UTF-8 without "
                     "BOM"},
    };
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        size_t size = strlen(marks[i].bytes);
        if (text.size >= size && memcmp(text.data, marks[i].bytes, size) == 0)
            return marks[i].what;
    }
    return NULL;
}
