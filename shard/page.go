package shard

import "math"

// Unsettled stands for the LSN of a bucket's last write while a snapshot comes in: what the loop counts is not what the
// disk holds.
const Unsettled = math.MaxUint64

// SkipBuckets returns the bucket in which the user at offset stands, in the order (bucket, id), and how many users of
// that bucket stand before; bucket 256 if the offset lies behind the last user. counts has the number of users of each
// bucket, users is their sum.
func SkipBuckets(counts *[256]uint64, offset uint64) (bucket int, skip, users uint64) {
	bucket, skip = len(counts), offset
	for b, n := range counts {
		switch {
		case bucket < len(counts):
		case skip < n:
			bucket = b
		default:
			skip -= n
		}
		users += n
	}
	return bucket, skip, users
}

// Segment is a run of users within one shard: Limit of them from Offset on.
type Segment struct {
	Shard         int
	Offset, Limit uint64
}

// PlanOffset cuts the page of limit users at offset in the global order (shard, bucket, id) into segments, a shard
// each. counts has the number of users of each shard. Whole shards before the offset are skipped by their counts.
func PlanOffset(counts []uint64, offset, limit uint64) []Segment {
	plan := []Segment{}
	for s, users := range counts {
		if limit == 0 {
			break
		}
		if offset >= users {
			offset -= users
			continue
		}
		take := min(users-offset, limit)
		plan = append(plan, Segment{s, offset, take})
		offset, limit = 0, limit-take
	}
	return plan
}

// PlanAfter cuts the page of limit users behind a user of shard first into segments: the rest of that shard, of unknown
// length, then as many shards as are sure to fill the page without it.
func PlanAfter(counts []uint64, first int, limit uint64) []Segment {
	plan := []Segment{{first, 0, limit}}
	for s := first + 1; s < len(counts) && limit > 0; s++ {
		if take := min(counts[s], limit); take > 0 {
			plan = append(plan, Segment{s, 0, take})
			limit -= take
		}
	}
	return plan
}
