/* rtcache: the command-line client of rtcached. */
#include "cli/cli.h"

#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *server = getenv("RTCACHE_SERVER");
    struct cli cli = {.in = stdin,
                      .out = stdout,
                      .err = stderr,
                      .terminal = isatty(STDOUT_FILENO) == 1,
                      .server = server && server[0] ? server : CLI_SERVER_DEFAULT};
    return cli_run(&cli, argc, argv);
}
