/* lin_main.c - the checker as a program of its own, for tests and benchmarks. */
#include "sim/lin/lin_tool.h"

int main(int argc, char **argv)
{
    return lin_tool_main(argc, argv);
}
