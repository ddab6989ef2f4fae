/* lin_tool.h - the command `check`: files in, verdicts out. The only part of sim/lin that does
 * I/O, reads clocks and takes memory from libc. */
#ifndef SIM_LIN_LIN_TOOL_H
#define SIM_LIN_LIN_TOOL_H

/* argv[0] is the name under which usage is printed ("tinykv-sim check"). Returns the exit code:
 * 0 every history is linearizable, 1 one is not, 2 bad usage, 3 a file cannot be read, is damaged,
 * or its answer is unknown. */
int lin_tool_main(int argc, char **argv);

#endif
