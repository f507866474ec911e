package proc

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNamesAreChecked(t *testing.T) {
	for _, name := range []string{"a", "db-0", "Tandem_2.test", strings.Repeat("n", NameMost)} {
		if err := CheckName("--cluster", name); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "a b", "a\n", "ä", "a,b", "a=b", "a b", strings.Repeat("n", NameMost+1)} {
		if err := CheckName("--cluster", name); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), "--cluster") {
			t.Errorf("%.80q: %v", name, err)
		}
	}
}

func TestNodesAreParsed(t *testing.T) {
	want := []Member{{"a", "h:1"}, {"b", "[::1]:2"}, {"c", "h:65535"}}
	if got, err := ParseNodes("a=h:1, b=[::1]:2,c=h:65535"); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for text, says := range map[string]string{"": "name=host:port", "a=h:1,c": "name=host:port", "=h:1": "letters",
		"a=h": "name=host:port", "a=h:0": "ports from 1", "a=h:99999": "ports from 1", "a b=h:1": "letters",
		"a=h:1,a=h:2": "repeats", "a=h:1,b=h:1": "repeats"} {
		if _, err := ParseNodes(text); !errors.Is(err, ErrSettings) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, expected %q", text, err, says)
		}
	}
}

func TestLimitsAreChecked(t *testing.T) {
	for found, fits := range map[time.Duration]bool{0: false, 1: true, 2: true, 3: false} {
		err := Within("--try", found, 1, 2)
		if (err == nil) != fits || err != nil && !errors.Is(err, ErrSettings) {
			t.Errorf("%v: %v", found, err)
		}
	}
	if err := Within("--try", 3, 1, 2); !strings.Contains(err.Error(), "--try: expected 1 to 2, found 3") {
		t.Error(err)
	}
}
