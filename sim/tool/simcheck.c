/* simcheck.c - tinykv-sim check: hands over to the checker's own command. */
#include "sim/tool/simtool.h"

int simcheck_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    (void)fprintf(stderr, "tinykv-sim: check is not linked in\n");
    return EXIT_TOOL;
}
