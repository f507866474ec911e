// Package wal is the format of a node's write-ahead log, and what a recovery makes of its bytes. It touches no file:
// package store writes and reads the segments.
//
// # Segments and blocks
//
// The log is a row of segments, files with ascending numbers. A segment has blocks of BlockSize bytes, which are
// written whole and in order, directly to the disk. Block 0 is its header. Each append begins a block and fills as many
// as it needs; one append is one batch, and the next one begins only when it is on the disk. A segment is used again:
// it is renamed and overwritten from its beginning, and never cut. So what lies behind the end of the log is zero, or
// what an older segment has left there.
//
// Every block carries the log's id, the number of its segment, the sequence of its batch, its place among the
// batch's blocks, the size of the batch, and a CRC32C of all of it. An old block is therefore never taken for a new
// one, and the end of the log is known: it lies where the blocks of this segment end.
//
// # Torn or damaged
//
// An append that a power loss has cut off leaves some of its blocks as they were before. That is a torn tail, and
// nobody was told that it is stored. A block that bears the number of its segment and fails its CRC was written here:
// it is damage if a batch lies behind it, and so is whatever cannot be read before something that can. One case is
// ambiguous: the block that the last append wrote, or its neighbours, fail their CRC, and the machine went down. The
// disk may have torn a block, or have damaged one that was stored. Scan reports the place as Bad; shard.JudgeLog
// decides by what else is known.
package wal
