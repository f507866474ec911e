package proc

import (
	"net/netip"
	"slices"
	"time"
)

const (
	lookupFor   = 5 * time.Second        // after which a look-up is given up
	lookupAgain = 500 * time.Millisecond // between two look-ups of a name whose peer is not reached
	lookupsMost = 10                     // look-ups of a name under way at once
	refresh     = time.Minute            // between two look-ups while all is well
)

// route is what is known of the addresses behind a name.
type route struct {
	Found  []netip.Addr // by the newest look-up that found any, in its order
	Last   netip.Addr   // where the peer was reached last; zero if never
	Tried  []netip.Addr // that have failed since it was reached, the latest failure last
	Asked  time.Time    // when the last look-up began
	Begun  int          // look-ups begun; the number of the last one
	Open   int          // look-ups under way
	Newest int          // number of the newest look-up that found any
	Err    error        // why the last look-up that has ended found none; nil if it did
}

// candidates returns the addresses that may be dialled, the best one first: where the peer was reached last, unless its
// name has come to stand for others; then it is the last resort.
func candidates(r route) []netip.Addr {
	others := slices.DeleteFunc(slices.Clone(r.Found), func(a netip.Addr) bool { return a == r.Last })
	switch {
	case !r.Last.IsValid():
		return others
	case len(others) == len(r.Found):
		return append(others, r.Last)
	}
	return append([]netip.Addr{r.Last}, others...)
}

// pick returns the address to dial next: the first that has not failed since the peer was reached, or else the one
// whose failure is the oldest. So one that a look-up brings anew is dialled at once, and all are dialled in turn. There
// is none while none is known.
func pick(r route) (netip.Addr, bool) {
	known := candidates(r)
	for _, a := range known {
		if !slices.Contains(r.Tried, a) {
			return a, true
		}
	}
	for _, a := range r.Tried {
		if slices.Contains(known, a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// noteDial notes what came of a dial: with an error the peer was not reached at an address.
func noteDial(r route, at netip.Addr, err error) route {
	if err == nil {
		r.Last, r.Tried = at, nil
		return r
	}
	r.Tried = append(slices.DeleteFunc(slices.Clone(r.Tried), func(a netip.Addr) bool { return a == at }), at)
	return r
}

// due says whether a look-up is to begin: now and then, and soon again while the peer is not reached. One that stays
// without an answer does not keep the next from being asked, since a name server that was away answers that one only.
func due(r route, now time.Time) bool {
	patience := refresh
	if len(r.Found) == 0 || len(r.Tried) > 0 {
		patience = lookupAgain
	}
	return r.Open < lookupsMost && (r.Begun == 0 || now.Sub(r.Asked) >= patience)
}

// begin notes that a look-up begins.
func begin(r route, now time.Time) route {
	r.Asked, r.Begun, r.Open = now, r.Begun+1, r.Open+1
	return r
}

// noteLookup notes the outcome of a look-up. One that found nothing changes no address: what was known is all that is
// known. Nor does one that began before another that has found some.
func noteLookup(r route, number int, found []netip.Addr, err error) route {
	r.Open, r.Err = r.Open-1, err
	if err != nil || len(found) == 0 || number < r.Newest {
		return r
	}
	r.Found, r.Newest = nil, number
	for _, a := range found {
		if a = a.Unmap(); !slices.Contains(r.Found, a) {
			r.Found = append(r.Found, a)
		}
	}
	known := candidates(r)
	r.Tried = slices.DeleteFunc(slices.Clone(r.Tried), func(a netip.Addr) bool { return !slices.Contains(known, a) })
	return r
}
