package shard

import "testing"

const ms = int64(1000 * 1000)

// feel looks at a disk every DiskLookEvery from from to to, while a write that began at write is under way (0: none),
// and returns when it became unhealthy and well: -1 if it did not.
func feel(p DiskHealth, write, from, to int64) (after DiskHealth, unhealthyAt, wellAt int64) {
	unhealthyAt, wellAt = -1, -1
	for now := from; now <= to; now += DiskLookEvery {
		was := p.State != DiskHealthy
		p = JudgeDisk(p, write, now)
		switch {
		case p.State != DiskHealthy && !was:
			unhealthyAt = now
		case p.State == DiskHealthy && was:
			wellAt = now
		}
	}
	return p, unhealthyAt, wellAt
}

// A write that takes too long makes the disk unhealthy; then it has to be quick for a while, and for longer each time
// that it is slow again.
func TestSlowDiskIsTrustedEverLater(t *testing.T) {
	p, now := DiskHealth{SlowAfter: 80 * ms, LookedAt: 1000 * ms}, int64(1000*ms)
	trust := int64(trustAfterLeast)
	for range 8 {
		var unhealthyAt, wellAt int64
		p, unhealthyAt, _ = feel(p, now, now, now+80*ms)
		if unhealthyAt >= 0 {
			t.Fatalf("unhealthy after %d ms", (unhealthyAt-now)/ms)
		}
		p, unhealthyAt, _ = feel(p, now, now+85*ms, now+150*ms)
		if unhealthyAt != now+85*ms {
			t.Fatalf("not unhealthy after 85 ms: %+v", p)
		}
		now += 150 * ms // the write is done
		p, _, wellAt = feel(p, 0, now+DiskLookEvery, now+2*trustAfterMost)
		if wellAt != now+trust {
			t.Fatalf("well again after %d ms, expected %d", (wellAt-now)/ms, trust/ms)
		}
		now, trust = wellAt, min(2*trust, trustAfterMost)
		p.LookedAt = now
	}
	now += forgetSlowAfter + trustAfterMost
	p, _, _ = feel(p, 0, p.LookedAt, now)
	p, _, _ = feel(p, now, now, now+100*ms)
	if _, _, wellAt := feel(p, 0, now+105*ms, now+2*trustAfterMost); wellAt != now+100*ms+trustAfterLeast {
		t.Errorf("after a long quiet time well again after %d ms", (wellAt-now)/ms-100)
	}
}

// Short writes, one right after the other, are no slow one, and neither is a pause of the process while a write is
// under way.
func TestWhatIsNoSlowDisk(t *testing.T) {
	p := DiskHealth{SlowAfter: 80 * ms, LookedAt: 1000 * ms}
	now := int64(1000 * ms)
	for range 10 {
		p, _, _ = feel(p, now, now, now+70*ms)
		now += 71 * ms
	}
	if p.SlowAt != 0 {
		t.Errorf("short writes: %+v", p)
	}
	p, _, _ = feel(p, now, now, now+20*ms)
	p = JudgeDisk(p, now, now+2000*ms)
	p = JudgeDisk(p, now, now+2005*ms)
	if p.SlowAt != 0 {
		t.Errorf("a pause: %+v", p)
	}
}
