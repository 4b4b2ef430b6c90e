/* The group "tls", and the addresses that need it. */
#include "conf/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

bool checks_tls_address(const char *address)
{
    return strncmp(address, "tls:", 4) == 0;
}

/* 0 or an errno. */
static int try_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno;
    int reason = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EISDIR;
    close(fd);
    return reason;
}

/* path: as it was made of the option; NULL where it was not given, or was wrong. */
static void check_file(struct reading *r, const config_setting_t *group, const char *name,
                       const char *path)
{
    const config_setting_t *s = config_setting_get_member(group, name);
    int reason = s && path ? try_file(path) : 0;
    if (reason == EISDIR)
        setting_wrong(r, s, "\"%s\": %s is no file", name, path);
    else if (reason != 0)
        setting_wrong(r, s, "\"%s\": cannot read %s: %s", name, path, strerror(reason));
}

void checks_tls(struct reading *r, const config_setting_t *root)
{
    const struct conf *c = r->conf;
    const config_setting_t *group = config_setting_get_member(root, "tls");
    if (group && config_setting_is_group(group)) {
        check_file(r, group, "certificate", c->tls.certificate);
        check_file(r, group, "key", c->tls.key);
        check_file(r, group, "client_ca", c->tls.client_ca);
    }
    for (size_t i = 0; i < c->listen_count && !group; i++)
        if (checks_tls_address(c->listen[i]))
            setting_wrong(r, config_setting_get_member(root, "listen"),
                          "\"listen\": \"%.140s\" needs a group \"tls\" with \"certificate\" and "
                          "\"key\"",
                          c->listen[i]);
}
