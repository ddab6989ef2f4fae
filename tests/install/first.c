/* first.c - the program of the manual: outside the tree, it sees tkv.h and nothing else. */
#include <stdio.h>
#include <tkv.h>

int main(int argc, char **argv)
{
    struct env *env;
    struct tkv *db;
    struct tkv_options o;
    struct tkv_error error;
    struct tkv_pin pin;
    if (argc != 2 || tkv_env_new(&env) != TKV_OK) {
        return 2;
    }
    tkv_options_init(&o);
    o.env = env;
    if (tkv_open(&o, argv[1], &db, &error) != TKV_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (tkv_put(db, NULL, "hello", 5, "world", 5) == TKV_OK &&
        tkv_get_pin(db, NULL, "hello", 5, &pin) == TKV_OK) {
        printf("hello, %.*s\n", (int)pin.size, (const char *)pin.data);
        tkv_pin_release(db, &pin);
    }
    enum tkv_status st = tkv_close(db);
    tkv_env_free(env);
    return st != TKV_OK;
}
