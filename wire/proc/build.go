package proc

import (
	"runtime"
	"runtime/debug"
)

// version is the version that this source is on the way to.
const version = "v0.1.0-dev"

// What only whoever builds a program knows; the linker sets it (-X tandem/wire/proc.commit=…), "" if it is not told.
var (
	commit  string // of the source
	rocksDB string // the version of RocksDB that a node is linked with
)

// Build says which program this is, for people: Tandem's version, the commit if the build knows it, the version of Go,
// and that of RocksDB if the build told it.
func Build() string {
	text, at, modified := version, commit, ""
	if info, known := debug.ReadBuildInfo(); known {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && at == "":
				at = s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = " modified"
			}
		}
	}
	if at != "" {
		text += " " + at + modified
	}
	text += " " + runtime.Version()
	if rocksDB != "" {
		text += " RocksDB " + rocksDB
	}
	return text
}
