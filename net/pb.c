/* pb.c - see pb.h. */
#include "net/pb.h"

const struct pb_field *pb_field_find(const struct pb_table *t, uint32_t number)
{
    uint32_t low = 0;
    uint32_t high = t->count;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        if (t->fields[mid].number == number) {
            return &t->fields[mid];
        }
        if (t->fields[mid].number < number) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return NULL;
}
