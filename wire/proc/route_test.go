package proc

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// addrs reads addresses.
func addrs(texts ...string) []netip.Addr {
	list := []netip.Addr{}
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

// lookedUp is a route after a look-up.
func lookedUp(r route, err error, texts ...string) route {
	r = begin(r, r.Asked.Add(lookupAgain))
	return noteLookup(r, r.Begun, addrs(texts...), err)
}

// failures returns which addresses are dialled in turn while none is reached, and what is known then.
func failures(r route, n int) ([]string, route) {
	list := []string{}
	for range n {
		at, known := pick(r)
		if !known {
			return append(list, "none"), r
		}
		list = append(list, at.String())
		r = noteDial(r, at, errors.New("refused"))
	}
	return list, r
}

func TestWhichAddressIsDialled(t *testing.T) {
	away := errors.New("no such host")
	one, two := lookedUp(route{}, nil, "::1", "127.0.0.1"), lookedUp(route{}, nil, "10.0.0.1")
	reached := noteDial(one, addrs("127.0.0.1")[0], nil)
	home := noteDial(two, addrs("10.0.0.1")[0], nil)
	_, down := failures(home, 5)
	moved := lookedUp(home, nil, "10.0.0.2")
	cases := []struct {
		name string
		r    route
		want []string
	}{
		{"nothing is known", lookedUp(route{}, away), []string{"none"}},
		{"several addresses are dialled in turn", one, []string{"::1", "127.0.0.1", "::1", "127.0.0.1"}},
		{"one address twice is one", lookedUp(route{}, nil, "::ffff:10.0.0.1", "10.0.0.1"),
			[]string{"10.0.0.1", "10.0.0.1"}},
		{"where it was reached comes first", reached, []string{"127.0.0.1", "::1", "127.0.0.1"}},
		{"so it does in another order", lookedUp(reached, nil, "::1", "127.0.0.1"),
			[]string{"127.0.0.1", "::1", "127.0.0.1"}},
		{"a name server that is away changes nothing", lookedUp(home, away), []string{"10.0.0.1", "10.0.0.1"}},
		{"nor does an answer without addresses", lookedUp(home, nil), []string{"10.0.0.1", "10.0.0.1"}},
		{"another address comes first, then both in turn", moved,
			[]string{"10.0.0.2", "10.0.0.1", "10.0.0.2", "10.0.0.1"}},
		{"another address is dialled at once", lookedUp(down, nil, "10.0.0.2"),
			[]string{"10.0.0.2", "10.0.0.1", "10.0.0.2"}},
		{"a later one at once, too", lookedUp(lookedUp(down, nil, "10.0.0.2"), nil, "10.0.0.3"),
			[]string{"10.0.0.3", "10.0.0.1", "10.0.0.3"}},
		{"where it is reached anew counts, not where it was", noteDial(moved, addrs("10.0.0.2")[0], nil),
			[]string{"10.0.0.2", "10.0.0.2"}},
	}
	for _, c := range cases {
		if got, _ := failures(c.r, len(c.want)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, got, c.want)
		}
	}
}

// TestTheNewestLookUpCounts: one that began earlier and comes later changes nothing.
func TestTheNewestLookUpCounts(t *testing.T) {
	r := begin(begin(route{}, time.Time{}), time.Time{})
	r = noteLookup(r, 2, addrs("10.0.0.2"), nil)
	r = noteLookup(r, 1, addrs("10.0.0.1"), nil)
	if at, _ := pick(r); at.String() != "10.0.0.2" || r.Open != 0 {
		t.Errorf("%v is dialled, %d are under way", at, r.Open)
	}
}

func TestWhenANameIsLookedUp(t *testing.T) {
	now := time.Now()
	asked := begin(route{}, now)
	well := noteDial(noteLookup(asked, 1, addrs("10.0.0.1"), nil), addrs("10.0.0.1")[0], nil)
	lost := noteDial(well, addrs("10.0.0.1")[0], errors.New("refused"))
	full := route{Open: lookupsMost, Begun: lookupsMost}
	cases := []struct {
		name  string
		r     route
		after time.Duration
		want  bool
	}{
		{"at the start", route{}, 0, true},
		{"not twice at once", asked, 0, false},
		{"again while there is no answer", asked, lookupAgain, true},
		{"not while all is well", well, lookupAgain, false},
		{"now and then when all is well", well, refresh, true},
		{"again when the peer is not reached", lost, lookupAgain, true},
		{"not for every dial", lost, lookupAgain - 1, false},
		{"not without a bound", full, time.Hour, false},
	}
	for _, c := range cases {
		if got := due(c.r, now.Add(c.after)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
