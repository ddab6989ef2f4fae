/* simcheck.c - tinykv-sim check: hands over to the checker's own command. */
#include "sim/lin/lin_tool.h"
#include "sim/tool/simtool.h"

int simcheck_command(int argc, char **argv)
{
    static char name[] = "tinykv-sim check";
    argv[0] = name;
    return lin_tool_main(argc, argv);
}
