/* rtcache: the command-line client of rtcached. */
#include "cli/cli.h"
#include "wire/json_read.h"

#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *server = getenv("RTCACHE_SERVER");
    const char *user = getenv("RTCACHE_USER"), *password = getenv("RTCACHE_PASSWORD");
    struct cli cli = {.in = stdin,
                      .out = stdout,
                      .err = stderr,
                      .terminal = isatty(STDOUT_FILENO) == 1,
                      .user = user && user[0] ? user : NULL,
                      .password = password && password[0] ? password : NULL,
                      .server = server && server[0] ? server : CLI_SERVER_DEFAULT};
    json_read_install();
    return cli_run(&cli, argc, argv);
}
