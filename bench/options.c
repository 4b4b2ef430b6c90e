#include "options.h"

#include "client.h"

#include <err.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX (1u << 20)

static void usage(void)
{
    fputs("load --protocol rtcache|redis|memcached|tarantool --connect HOST:PORT|PATH [--pid N]\n"
          "     [--connections 50] [--depth 1] [--keys 10000] [--value 100] [--prefix bench:]\n"
          "     [--many 1 (keys of a get)] [--sets 0 (per cent of the requests)]\n"
          "     [--fill | --first N (each key once)] [--zipf (1.0)]\n"
          "     [--warmup 1] [--seconds 3 | --requests N]\n"
          "     [--rate N (a second)]\n",
          stderr);
    exit(2);
}

static const struct option names[] = {
    {"protocol", required_argument, NULL, 'P'}, {"connect", required_argument, NULL, 'a'},
    {"prefix", required_argument, NULL, 'x'},   {"connections", required_argument, NULL, 'c'},
    {"depth", required_argument, NULL, 'd'},    {"keys", required_argument, NULL, 'k'},
    {"value", required_argument, NULL, 'v'},    {"first", required_argument, NULL, 'F'},
    {"requests", required_argument, NULL, 'n'}, {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'w'},   {"pid", required_argument, NULL, 'p'},
    {"fill", no_argument, NULL, 'f'},           {"rate", required_argument, NULL, 'r'},
    {"many", required_argument, NULL, 'm'},     {"sets", required_argument, NULL, 'S'},
    {"zipf", no_argument, NULL, 'z'},           {NULL, 0, NULL, 0},
};

static unsigned read_count(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*end || !n || n > 10000000)
        errx(2, "%s: not a count", text);
    return (unsigned)n;
}

void options_read(struct options *o, int argc, char **argv)
{
    *o = (struct options){.prefix = "bench:",
                          .connections = 50,
                          .depth = 1,
                          .keys = 10000,
                          .many = 1,
                          .value = 100,
                          .seconds = 3,
                          .warmup = 1};
    for (int name; (name = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        switch (name) {
        case 'P': o->protocol = protocol_find(optarg); break;
        case 'a': o->address = optarg; break;
        case 'x': o->prefix = optarg; break;
        case 'c': o->connections = read_count(optarg); break;
        case 'd': o->depth = read_count(optarg); break;
        case 'k': o->keys = read_count(optarg); break;
        case 'm': o->many = read_count(optarg); break;
        case 'S': o->sets = read_count(optarg) / 100.; break;
        case 'z': o->zipf = true; break;
        case 'v': o->value = read_count(optarg); break;
        case 'F':
            o->first = read_count(optarg);
            o->in_order = true;
            break;
        case 'n': o->requests = read_count(optarg); break;
        case 's': o->seconds = strtod(optarg, NULL); break;
        case 'w': o->warmup = strtod(optarg, NULL); break;
        case 'p': o->pid = (int)read_count(optarg); break;
        case 'f': o->fill = true; break;
        case 'r': o->rate = read_count(optarg); break;
        default: usage();
        }
    }
    if (!o->protocol || !o->address || strlen(o->prefix) > 32 || o->value > VALUE_MAX ||
        o->many > CLIENT_MANY_MAX || o->sets > 1)
        usage();
}
