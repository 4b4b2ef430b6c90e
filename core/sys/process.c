#include "sys/process.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

size_t process_resident(void)
{
    char line[128], *second;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return 0;
    bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    if (!read || !(second = strchr(line, ' ')))
        return 0;
    return (size_t)strtoul(second, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

void process_boot_id(char out[PROCESS_BOOT_ID])
{
    out[0] = '\0';
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!f)
        return;
    if (!fgets(out, PROCESS_BOOT_ID, f))
        out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    fclose(f);
}
