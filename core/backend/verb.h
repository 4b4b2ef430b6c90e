/*
 * verb: what backends of a driver can be asked. Each is a method of the backend in scripts:
 *
 *   {.name = "row", .takes = "sql, ...", .text = "the SQL text", .most = VERB_ANY, .shape = CALL_ROW}
 *   db:row("SELECT ...", 7) --> struct call {verb, text, params, shape} --> the driver's submit
 *
 * Shape: a constant table of a driver, in the order of its own enum; a name of NULL ends it.
 * Thread: any.
 */
#ifndef RTCACHE_BACKEND_VERB_H
#define RTCACHE_BACKEND_VERB_H

#include "backend/call.h"

#define VERB_ANY (-1)

struct verb {
    const char *name;  /* of the method */
    const char *takes; /* its arguments, for people: "key, ttl" */
    const char *text;  /* what the first of them is, for errors: "the key"; always a string */
    int least, most;   /* how many go with it, as call.params; most may be VERB_ANY */
    enum call_shape shape;
    bool bytes;   /* the text may have NUL bytes */
    bool packed;  /* of ROW and ROWS: the script gets the packed bytes, not tables */
    bool hidden;  /* no method: for what is trusted alone */
    bool at_once; /* the driver may know the answer: backend_answer is asked first */
};

#endif
