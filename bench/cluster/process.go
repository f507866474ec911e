package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// ErrProcess is the class of a child process that cannot be started, does not begin to serve, or died.
var ErrProcess = errors.New("process")

// errEnded is the class of a node that has ended without being asked to, before it served.
var errEnded = errors.New("ended before it served")

// StartLimit is how long a process may take until it serves.
const StartLimit = 60 * time.Second

// Process is a child that was launched; when Gone is closed it has ended, and Cmd.ProcessState says how.
type Process struct {
	Name string
	log  string
	Cmd  *exec.Cmd
	Gone chan struct{}
}

// sharers is how many processes share the processors at least: three nodes and a gateway. With more threads each they
// would spend their time on waking each other; GOMAXPROCS in the environment overrides it.
const sharers = 4

// Launch starts a child in its own session, so that Ctrl-C at the terminal reaches only bench. Its output is appended
// to dir/NAME.log, its pid is in dir/NAME.pid.
func Launch(dir, name string, argv []string) (Process, error) {
	p := Process{Name: name, log: filepath.Join(dir, name+".log"), Cmd: exec.Command(argv[0], argv[1:]...),
		Gone: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return p, fmt.Errorf("%w %s: its log: %w", ErrProcess, name, err)
	}
	defer log.Close()
	p.Cmd.Stdout, p.Cmd.Stderr = log, log
	// the last of a name counts
	p.Cmd.Env = append([]string{"GOMAXPROCS=" + strconv.Itoa(max(1, runtime.NumCPU()/sharers))}, os.Environ()...)
	p.Cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = p.Cmd.Start(); err != nil {
		return p, fmt.Errorf("%w %s: %w", ErrProcess, name, err)
	}
	go func() {
		_ = p.Cmd.Wait() // ProcessState has the outcome
		close(p.Gone)
	}()
	pid := strconv.Itoa(p.Cmd.Process.Pid)
	if err = os.WriteFile(filepath.Join(dir, name+".pid"), []byte(pid+"\n"), 0o644); err != nil {
		_ = p.Cmd.Process.Kill() // it would be out of reach of bench stop
		return p, fmt.Errorf("%w %s: its pid file: %w", ErrProcess, name, err)
	}
	return p, nil
}

// AwaitNode waits until a node says in its STATUS that it serves, and sends nil, or why it does not.
func AwaitNode(p Process, addr string, ready chan<- error) {
	last := "no answer yet"
	for end := time.Now().Add(StartLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.Gone:
			ready <- fmt.Errorf("%w %s %w", ErrProcess, DescribeEnd(p), errEnded)
			return
		default:
		}
		answer, err := AskLine(addr, "STATUS")
		if err != nil {
			last = err.Error()
			continue
		}
		var status struct{ Started bool }
		if json.Unmarshal([]byte(answer), &status) == nil && status.Started {
			ready <- nil
			return
		}
		last = answer
	}
	ready <- fmt.Errorf("%w %s does not serve after %v: %s", ErrProcess, p.Name, StartLimit, last)
}

// AwaitGateway waits until a gateway's health check succeeds, and sends nil, or why it does not.
func AwaitGateway(p Process, addr string, ready chan<- error) {
	last, noProxy := "no answer yet", &http.Transport{DisableKeepAlives: true} // nor one of the environment
	direct := &http.Client{Transport: noProxy, Timeout: time.Second}
	for end := time.Now().Add(StartLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.Gone:
			ready <- fmt.Errorf("%w %s ended before it served", ErrProcess, DescribeEnd(p))
			return
		default:
		}
		answer, err := direct.Get("http://" + addr + "/healthz")
		if err != nil {
			last = err.Error()
			continue
		}
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusOK {
			ready <- nil
			return
		}
		last = answer.Status
	}
	ready <- fmt.Errorf("%w %s does not serve after %v: %s", ErrProcess, p.Name, StartLimit, last)
}

// DescribeEnd says how a process that is gone ended, with the last lines of its log.
func DescribeEnd(p Process) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("%s (%v; its log: %v)", p.Name, p.Cmd.ProcessState, err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	tail := lines[max(0, len(lines)-12):]
	return fmt.Sprintf("%s (%v; the end of %s:\n  %s\n)", p.Name, p.Cmd.ProcessState, p.log,
		bytes.Join(tail, []byte("\n  ")))
}
