package shard

// DiskState is what a node makes of its disk (rule R12).
type DiskState uint8

// The states of a disk.
const (
	DiskHealthy    DiskState = iota
	DiskDistrusted           // it was slow, and has not been quick for long enough since
	DiskSlow                 // the write under way takes too long, or the disk is full
)

// Abstains tells whether a node asks a neighbour for nothing and promises it nothing because of its disk: while that is
// slow, and then until it is trusted again, but that only where the neighbour can take over. So it must be there, and
// the slowness may not be shared: the neighbour's disk was well while this one was slow, and since.
func Abstains(disk DiskState, there, shared bool) bool {
	return disk == DiskSlow || disk == DiskDistrusted && there && !shared
}

// DiskHealth is how a node judges its disk, by how long its writes take (rule R12). All times are in ns on the node's
// clock.
type DiskHealth struct {
	SlowAfter  int64 // a write that takes longer makes the disk slow
	LookedAt   int64
	Write      int64 // when the write under way began; 0 if none is
	Waited     int64 // for how long it has been seen to take: pauses of this process are not the disk's
	SlowAt     int64 // when a write was last slow; 0 if none was
	TrustAfter int64 // for how long the disk must have been quick until it is trusted again
	State      DiskState
}

// The limits of judging a disk, in ns.
const (
	DiskLookEvery = 5 * 1000 * 1000 // between two looks
	// counted for one look at most: between looks further apart this process stood still
	diskLookGap     = 3 * DiskLookEvery
	trustAfterLeast = 60 * 1000 * 1000       // a disk that was slow once, as when others use it too, is trusted again soon
	trustAfterMost  = 16 * trustAfterLeast   // and twice as late each time, up to this
	forgetSlowAfter = 5 * 1000 * 1000 * 1000 // without a slow write, after which that begins again with the least
)

// JudgeDisk looks at the disk: write is when the write under way began, 0 if none is.
func JudgeDisk(p DiskHealth, write, now int64) DiskHealth {
	seen := min(now-p.LookedAt, diskLookGap)
	if write != p.Write {
		p.Write, p.Waited, seen = write, 0, min(seen, now-write)
	}
	p.LookedAt = now
	if write > 0 {
		p.Waited += seen
	}
	slow := write > 0 && p.Waited > p.SlowAfter
	if slow {
		switch {
		case p.State != DiskHealthy:
		case p.SlowAt == 0 || now-p.SlowAt > forgetSlowAfter:
			p.TrustAfter = trustAfterLeast
		default:
			p.TrustAfter = min(2*p.TrustAfter, trustAfterMost)
		}
		p.SlowAt = now
	}
	switch {
	case slow:
		p.State = DiskSlow
	case p.SlowAt > 0 && now-p.SlowAt < p.TrustAfter:
		p.State = DiskDistrusted
	default:
		p.State = DiskHealthy
	}
	return p
}
