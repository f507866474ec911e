package proc

import (
	"testing"
	"time"
)

// TestBeatsRingTogether: whatever the time is, loops that beat at multiples of each other meet.
func TestBeatsRingTogether(t *testing.T) {
	for _, now := range []int64{0, 1, 9_999_999, 10_000_000, 123_456_789_012} {
		fast, slow := UntilBeat(now, 10*time.Millisecond), UntilBeat(now, 40*time.Millisecond)
		if fast <= 0 || fast > 10*time.Millisecond || slow < fast || (slow-fast)%(10*time.Millisecond) != 0 ||
			(now+int64(slow))%int64(40*time.Millisecond) != 0 {
			t.Errorf("at %d: %v and %v", now, fast, slow)
		}
	}
}
