package proc

import (
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestReach(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:7400": "127.0.0.1:7400", "127.0.0.9:7400": "127.0.0.9:7400", ":7400": "localhost:7400",
		"0.0.0.0:7400": "127.0.0.1:7400",
		"[::]:7400":    "localhost:7400", "[::1]:7400": "[::1]:7400", "db-0:7400": "db-0:7400", "7400": "", "": "",
	} {
		if got, err := Reach(listen); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is reached at %q (%v), expected %q", listen, got, err, want)
		}
	}
}

// TestAnAddressThatIsTaken is named in the error.
func TestAnAddressThatIsTaken(t *testing.T) {
	first, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	address := first.Addr().String()
	second, err := Listen(address)
	if second != nil || !errors.Is(err, syscall.EADDRINUSE) ||
		!strings.HasPrefix(err.Error(), "cannot listen on "+address+" (is another process there?): ") {
		t.Error(second, err)
	}
}
