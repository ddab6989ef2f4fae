/* latency.c - see latency.h. */
#include "sim/latency.h"

#define QUANTILES 64

/* 1000 exp(0.5 z) at the middle of each of 64 equal slices of the normal distribution. */
static const uint16_t factor[QUANTILES] = {
    299,  370,  414,  449,  479,  505,  529,  552,  573,  594,  613,  632,  651,  669,  687,  705,
    722,  740,  757,  775,  792,  809,  827,  844,  862,  879,  897,  915,  934,  952,  971,  990,
    1010, 1030, 1050, 1071, 1093, 1115, 1137, 1161, 1185, 1210, 1236, 1263, 1291, 1321, 1352, 1384,
    1419, 1455, 1494, 1536, 1581, 1631, 1685, 1745, 1812, 1890, 1980, 2089, 2227, 2413, 2701, 3349,
};

uint64_t latency_draw(struct chooser_stream *s, uint64_t median_ns)
{
    return median_ns * factor[choose(s, QUANTILES)] / 1000;
}

uint64_t latency_tail(struct chooser_stream *s, uint64_t ns)
{
    return ns * choose_between(s, 10, 100);
}
