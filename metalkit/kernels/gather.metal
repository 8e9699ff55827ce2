// Gather: Y[i] = Table[IDs[i]]; the row of an id that is out of range is zeros.
//
// Reference: torch.nn.functional.embedding. Checked against loops by
// inference/device/devicetest/move.go.
//
// Time it: gimbal bench kernel gather 512x4096
#include "common.h"

struct GatherArgs {
    uint rows, cols, table_rows, ldt, ldy;
};

template <typename T, bool raw>
kernel void gather_rows(constant GatherArgs &a [[buffer(0)]], device const void *table [[buffer(1)]], device const int *ids [[buffer(2)]],
                   device void *y [[buffer(3)]], uint3 group [[threadgroup_position_in_grid]],
                   uint tid [[thread_index_in_threadgroup]], uint simd [[simdgroup_index_in_threadgroup]],
                   uint lane [[thread_index_in_simdgroup]]) {
    for (uint k = 0; k < 4; k++) {
        ulong e = ulong(group.x) * 1024 + k * 256 + tid;
        if (e < ulong(a.rows) * a.cols) {
            ulong i = uint(e) / a.cols, j = uint(e) % a.cols;
            uint id = uint(ids[i]); // negative ones become large
            bool known = id < a.table_rows;
            ulong from = ulong(known ? id : 0) * a.ldt + j, to = i * a.ldy + j;
            if (raw)
                ((device T *)y)[to] = known ? ((device const T *)table)[from] : T(0);
            else
                store(y, TYPE_Y, to, known ? load(table, TYPE_A, from) : 0.0f);
        }
    }
}
INSTANCE(gather_convert, gather_rows, float, false);
INSTANCE(gather_1, gather_rows, uchar, true);
INSTANCE(gather_2, gather_rows, ushort, true);
INSTANCE(gather_4, gather_rows, uint, true);
INSTANCE(gather_8, gather_rows, ulong, true);
