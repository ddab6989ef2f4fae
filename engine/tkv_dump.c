/* tkv_dump.c - prints any file of a database, told by its name. */
#include "engine/fname.h"
#include "engine/tabledump.h"
#include "engine/tkv_impl.h"
#include "engine/waldump.h"

_Static_assert(sizeof(struct err) == sizeof(struct tkv_error), "one is handed out as the other");

enum tkv_status tkv_dump(struct env *env, const char *path, tkv_report_fn *report, void *arg,
                         struct tkv_error *error)
{
    struct err err = {.text = ""};
    const char *slash = strrchr(path, '/');
    uint64_t number = 0;
    enum status st;
    switch (fname_parse(slash != NULL ? slash + 1 : path, &number)) {
    case FNAME_LOG:
        st = waldump_log(env, path, number, report, arg, &err);
        break;
    case FNAME_TABLE:
        st = tabledump_file(env, path, number, report, arg, &err);
        break;
    case FNAME_MANIFEST:
        st = waldump_manifest(env, path, number, report, arg, &err);
        break;
    default:
        st = ST_INVAL;
        err_set(&err, "%s: not the name of a log, a table or a manifest", path);
        break;
    }
    if (error != NULL) {
        memcpy(error->text, err.text, sizeof error->text);
    }
    return tkv_impl_status(st);
}
