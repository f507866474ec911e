package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Settings that cannot be are refused by name, with what is expected, before anything is done: no cluster is started,
// no target is waited for.
func TestSettingsAreRefusedByName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	cases := []struct {
		args string
		want []string
	}{
		{"run --target 127.0.0.1:8080", []string{"--target", "http://host:port"}},
		{"run --target localhost", []string{"--target", "http://host:port"}},
		{"run --target https://127.0.0.1:8080", []string{"--target", "TLS"}},
		{"run --target ftp://127.0.0.1:8080", []string{"--target", `"ftp"`}},
		{"run --target http://", []string{"--target", "no host"}},
		{"run --target http://:8080", []string{"--target", "no host"}},
		{"run --target http://127.0.0.1:0", []string{"--target", "65535"}},
		{"run --target http://127.0.0.1:", []string{"--target", "65535"}},
		{"run --target http://127.0.0.1:99999", []string{"--target", "65535"}},
		{"run --target http://127.0.0.1:x", []string{"--target", "http://host:port"}},
		{"run --target http://127.0.0.1:8080/api/user", []string{"--target", "/api/user"}},
		{"run --target http://127.0.0.1:8080/?a=b", []string{"--target", "query"}},
		{"fill --target 127.0.0.1:8080", []string{"--target"}},
		{"pages --target 127.0.0.1:8080", []string{"--target"}},
		{"space --target 127.0.0.1:8080", []string{"--target"}},
		{"run --rate 0", []string{"--rate"}},
		{"run --rate=-1", []string{"--rate"}},
		{"run --rate 1e12", []string{"--rate", "1000000"}},
		{"run --rate NaN", []string{"--rate"}},
		{"run --rate often", []string{"--rate", "often"}},
		{"run --duration 0s", []string{"--duration"}},
		{"run --duration=-1s", []string{"--duration"}},
		{"run --duration 100000h", []string{"--duration", "720h"}},
		{"run --records 0", []string{"--records"}},
		{"run --records=-1", []string{"--records"}},
		{"run --records 1000000000000", []string{"--records"}},
		{"run --rate 1000000 --duration 700h", []string{"GiB", "--no-check"}},
		{"run --connections=-1", []string{"--connections"}},
		{"run --connections 1000000000", []string{"--connections", "ulimit -n"}},
		{"run --size=-1", []string{"--size"}},
		{"run --size 1000000000", []string{"--size"}},
		{"run --timeout 0s", []string{"--timeout"}},
		{"run --budget 0s", []string{"--budget"}},
		{"run --budget 2s", []string{"--budget", "--timeout"}},
		{"run --settle=-1s", []string{"--settle"}},
		{"run --check-timeout 0s", []string{"--check-timeout"}},
		{"run --most-stall=-1s", []string{"--most-stall"}},
		{"run --mix z", []string{"--mix", "crud"}},
		{"run --keys z", []string{"--keys", "zipfian"}},
		{"run --phases rnu", []string{"--phases"}},
		{"run --out " + file, []string{"--out", file}},
		{"run --out " + file + "/below", []string{"--out", file}},
		{"run --out /proc/bench", []string{"--out", "/proc/bench"}},
		{"chaos --out " + file, []string{"--out", file}},
		{"run --probe /proc", []string{"--probe"}},
		{"run --cluster --fault nonsense", []string{"nonsense", "expected kill"}},
		{"run --cluster --fault kill_db-1_at_2m", []string{"after the end"}},
		{"run --cluster --fault random_at_2m", []string{"after the end"}},
		{"run --cluster --fault random_every_1ns", []string{"at least 40ms"}},
		{"run --cluster --fault kill_db-7_at_1s", []string{"db-7", "db-2"}},
		{"run --cluster --fault cut_db-0_from_db-7_at_1s", []string{"db-7", "peers"}},
		{"run --cluster --fault cut_db-0_from_db-0_at_1s", []string{"another node"}},
		{"run --fault kill_db-1_at_1s", []string{"--cluster", "--fault-command"}},
		{"run --fault kill_db-1_at_1s --fault-command explode=x", []string{"--fault-command", "explode"}},
		{"run --fault-command kill=x", []string{"--fault-command", "--fault"}},
		{"run --cluster --target http://127.0.0.1:8080", []string{"--cluster", "--target"}},
		{"run --cluster --phases run --users-seed 3", []string{"--cluster", "--phases"}},
		{"run --cluster --shared", []string{"--cluster", "--shared"}},
		{"run --nodes 5", []string{"--nodes", "--cluster"}},
		{"run --bin /bin", []string{"--bin", "--cluster"}},
		{"run --cluster --nodes 2", []string{"--nodes", "at least 3"}},
		{"run --cluster --nodes 1000000000", []string{"--nodes"}},
		{"run --rate max --fault kill_db-1_at_1s --cluster", []string{"--rate max"}},
		{"run --compare " + file, []string{file}},
		{"chaos --rate NaN", []string{"--rate"}},
		{"chaos --rate 0", []string{"--rate"}},
		{"chaos --each 0", []string{"--each"}},
		{"chaos --round 0", []string{"--round"}},
		{"chaos --kinds nap", []string{"--kinds", "nap"}},
		{"chaos --in-sync 0s", []string{"--in-sync"}},
		{"chaos --nodes 1", []string{"--nodes"}},
		{"chaos --connections 1000000000", []string{"--connections"}},
		{"fill --users 0", []string{"--users"}},
		{"fill --connections 0", []string{"--connections"}},
		{"fill --connections 1000000000", []string{"--connections"}},
		{"pages --samples 0", []string{"--samples"}},
		{"pages --limit 0", []string{"--limit"}},
		{"pages --limit 1001", []string{"--limit", "1000"}},
		{"space --users 10 --target http://127.0.0.1:8080", []string{"--users", "--target"}},
		{"space --dir " + dir, []string{"--dir", dir}},
		{"micro --nodes 2", []string{"--nodes"}},
		{"micro --operations 0", []string{"--operations"}},
		{"verify --nodes x", []string{"--nodes"}},
		{"verify --nodes x=127.0.0.1:99999", []string{"--nodes"}},
		{"verify --wait=-1s", []string{"--wait"}},
		{"cluster --dir " + out + " --port 0", []string{"--port"}},
		{"cluster --dir " + out + " --port 65535", []string{"--port"}},
		{"cluster --dir " + out + " --http 127.0.0.1:0", []string{"--http"}},
		{"cluster --dir " + out + " --http 127.0.0.1:7401", []string{"--http", "--port"}},
		{"cluster --dir " + file, []string{file}},
		{"stop --dir " + dir + " --grace=-1s", []string{"--grace"}},
		{"stop --dir " + out + "/gone", []string{"cannot stop the cluster", "gone"}},
		{"dance", []string{"dance"}},
	}
	for _, c := range cases {
		args := strings.Fields(c.args)
		for i := range args {
			if i > 0 && args[i-1] == "--fault" {
				args[i] = strings.ReplaceAll(args[i], "_", " ")
			}
		}
		if !strings.Contains(c.args, "--out") && (args[0] == "run" || args[0] == "chaos") {
			args = append(args, "--out", out)
		}
		code, text := runBench(t, args...)
		if code != exitUsage {
			t.Errorf("%s: code %d: %s", c.args, code, text)
		}
		last := text[strings.LastIndex(strings.TrimSpace(text), "\n")+1:]
		for _, want := range c.want {
			if !strings.Contains(last, want) {
				t.Errorf("%s: %q is not in %q", c.args, want, last)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(out, "cluster")); err == nil {
		t.Error("a cluster was made for settings that are refused")
	}
}

// A target that does not answer is tried again for --settle, and that is said at once.
func TestATargetThatDoesNotAnswerIsNamedAtOnce(t *testing.T) {
	t.Parallel()
	args := []string{"run", "--target", "http://127.0.0.1:1", "--settle", "1200ms", "--out", t.TempDir()}
	code, text := runBench(t, args...)
	first, rest, _ := strings.Cut(text, "\n")
	if code != exitUsage || !strings.Contains(first, "no good answer at http://127.0.0.1:1 (dial: ") ||
		!strings.Contains(first, "trying on for 1s (--settle)") || strings.Contains(rest, "trying on") {
		t.Errorf("code %d: %s", code, text)
	}
}

// The parsers take any text: they read it or say what is wrong, and what they read can be done.
func FuzzFaults(f *testing.F) {
	for _, text := range []string{"kill db-1 at 10s; start db-1 at 70s", "pause db-0 at 5s for 800ms",
		"cut db-0 from db-1 at 5s for 2s", "cut db-0 to peers at 5s", "refuse db-0 from gateway at 5s",
		"heal at 9s", "random at 5s", "random every 10s", "random every 1ns", "kill db-1 at 2562047h for 2562047h",
		";;", "random", "cut x from", "kill at 1s", "random at -5s"} {
		f.Add(text, int64(time.Minute))
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		names := []string{"db-0", "db-1", "db-2"}
		steps, err := parseFaults(text, 1, names, time.Duration(length))
		if err != nil && steps != nil {
			t.Errorf("%v, and yet %d steps", err, len(steps))
		}
		for i, s := range steps {
			if s.At < 0 || s.At > time.Duration(length) || i > 0 && s.At < steps[i-1].At {
				t.Errorf("step %d, %s, at %v of %v", i, s.Text(), s.At, time.Duration(length))
			}
			if again, _, err := parseStep(strings.Fields(s.Text() + " at " + s.At.String())); err != nil || again != s {
				t.Errorf("%q is read as %+v: %v", s.Text(), again, err)
			}
		}
	})
}

func FuzzTarget(f *testing.F) {
	for _, text := range []string{localTarget, "http://gateway:8080/", "http://[::1]:8080", "http://host/prefix",
		"127.0.0.1:8080", "https://x", "http://", "http://:80", "http://x:0", "http://x:99999", "http://x:",
		"http://[::1", "http://u@h", "http://h?q", "http://h#f", "http://h/api/user/", "http://h%zz", "://", "http:/x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := parseTarget(text)
		if err != nil {
			return
		}
		if again, err := parseTarget(target); err != nil || again != target {
			t.Errorf("%q gives %q, and that %q: %v", text, target, again, err)
		}
		if host, port := hostPort(target); host == "" || port == "" {
			t.Errorf("%q gives host %q and port %q", text, host, port)
		}
		if _, err = request(client{target: target}, operation{Kind: opCount}, "", 0); err != nil {
			t.Errorf("%q makes no request: %v", text, err)
		}
	})
}
