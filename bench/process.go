package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errProcess is the class of a child process that cannot be started, does not come to serve, or died.
var errProcess = errors.New("process")

// errEnded is the class of a node that has ended without being asked to, before it served.
var errEnded = errors.New("ended before it served")

// startLimit is how long a process may take until it serves.
const startLimit = 60 * time.Second

// process is a child that was launched; when gone is closed it has ended and cmd.ProcessState says how.
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	gone chan struct{}
}

// sharers is how many processes share the processors at least: three nodes and a gateway. With more threads each they
// would spend their time on waking each other; GOMAXPROCS in the environment overrides it.
const sharers = 4

// launch starts a child in its own session, so that Ctrl-C at the terminal reaches only bench. Its output is appended
// to dir/NAME.log, its pid is in dir/NAME.pid.
func launch(dir, name string, argv []string) (process, error) {
	p := process{name: name, log: filepath.Join(dir, name+".log"), cmd: exec.Command(argv[0], argv[1:]...),
		gone: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return p, fmt.Errorf("%w %s: its log: %w", errProcess, name, err)
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// the last of a name counts
	p.cmd.Env = append([]string{"GOMAXPROCS=" + strconv.Itoa(max(1, runtime.NumCPU()/sharers))}, os.Environ()...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err = p.cmd.Start(); err != nil {
		return p, fmt.Errorf("%w %s: %w", errProcess, name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState has the outcome
		close(p.gone)
	}()
	pid := strconv.Itoa(p.cmd.Process.Pid)
	if err = os.WriteFile(filepath.Join(dir, name+".pid"), []byte(pid+"\n"), 0o644); err != nil {
		_ = p.cmd.Process.Kill() // it would be out of reach of bench stop
		return p, fmt.Errorf("%w %s: its pid file: %w", errProcess, name, err)
	}
	return p, nil
}

// askLine sends one line of text to a node and returns its one line of answer.
func askLine(addr, line string) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err = conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return "", err
	}
	if _, err = conn.Write([]byte(line + "\n")); err != nil {
		return "", err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

// awaitNode waits until a node says in its STATUS that it serves, and sends nil, or why it does not.
func awaitNode(p process, addr string, ready chan<- error) {
	last := "no answer yet"
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.gone:
			ready <- fmt.Errorf("%w %s %w", errProcess, describeEnd(p), errEnded)
			return
		default:
		}
		answer, err := askLine(addr, "STATUS")
		if err != nil {
			last = err.Error()
			continue
		}
		var status struct{ Ready bool }
		if json.Unmarshal([]byte(answer), &status) == nil && status.Ready {
			ready <- nil
			return
		}
		last = answer
	}
	ready <- fmt.Errorf("%w %s does not serve after %v: %s", errProcess, p.name, startLimit, last)
}

// awaitGateway waits until a gateway's health check is well, and sends nil, or why it is not.
func awaitGateway(p process, addr string, ready chan<- error) {
	last, noProxy := "no answer yet", &http.Transport{DisableKeepAlives: true} // nor one of the environment
	direct := &http.Client{Transport: noProxy, Timeout: time.Second}
	for end := time.Now().Add(startLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		select {
		case <-p.gone:
			ready <- fmt.Errorf("%w %s ended before it served", errProcess, describeEnd(p))
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
	ready <- fmt.Errorf("%w %s does not serve after %v: %s", errProcess, p.name, startLimit, last)
}

// describeEnd says how a process that is gone ended, with the last lines of its log.
func describeEnd(p process) string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("%s (%v; its log: %v)", p.name, p.cmd.ProcessState, err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	tail := lines[max(0, len(lines)-12):]
	return fmt.Sprintf("%s (%v; the end of %s:\n  %s\n)", p.name, p.cmd.ProcessState, p.log,
		bytes.Join(tail, []byte("\n  ")))
}
