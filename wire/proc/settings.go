package proc

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
)

// ErrSettings is the class of settings that cannot be.
var ErrSettings = errors.New("bad settings")

// NameMost is how many bytes the name of a node or a cluster has at most.
const NameMost = 64

// MaxConnections is the greatest number of connections that a process can be told to have open at once.
const MaxConnections = 1 << 20

// nameBytes are the characters of names.
const nameBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// badName says what a name of a node or a cluster is to be.
const badName = "%w: %s: expected a name of 1 to %d letters, digits, '-', '_' and '.', found %.80q"

func isName(text string) bool {
	return text != "" && len(text) <= NameMost && strings.Trim(text, nameBytes) == ""
}

// CheckName refuses what is no name of a node or a cluster, by the flag that gives it. Error: ErrSettings.
func CheckName(flag, name string) error {
	if isName(name) {
		return nil
	}
	return fmt.Errorf(badName, ErrSettings, flag, NameMost, name)
}

// Member is a node of the ring.
type Member struct{ Name, Address string }

// ParseNodes reads the setting --nodes, name=host:port,…, in ring order. Error: ErrSettings.
func ParseNodes(text string) ([]Member, error) {
	members := []Member{}
	for part := range strings.SplitSeq(text, ",") {
		name, address, ok := strings.Cut(strings.TrimSpace(part), "=")
		_, port, err := net.SplitHostPort(address)
		if n, bad := strconv.ParseUint(port, 10, 16); !ok || err != nil || bad != nil || n == 0 {
			return nil, fmt.Errorf("%w: --nodes: expected name=host:port,name=host:port,… with ports from 1 to 65535, "+
				"found %q", ErrSettings, part)
		}
		if !isName(name) {
			return nil, fmt.Errorf(badName, ErrSettings, "--nodes", NameMost, name)
		}
		if slices.ContainsFunc(members, func(m Member) bool { return m.Name == name || m.Address == address }) {
			return nil, fmt.Errorf("%w: --nodes: %q repeats a name or an address", ErrSettings, part)
		}
		members = append(members, Member{name, address})
	}
	return members, nil
}

// Within refuses a setting that is beyond its limits, by its flag. Error: ErrSettings.
func Within[T cmp.Ordered](flag string, found, least, most T) error {
	if found >= least && found <= most {
		return nil
	}
	return fmt.Errorf("%w: %s: expected %v to %v, found %v", ErrSettings, flag, least, most, found)
}
