package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// perform does one step to a cluster and says when it is done.
type perform func(s step) error

// order is a step that a cluster's operator is to do.
type order struct {
	Step step
	Done chan error
}

// operate owns the processes of a cluster that bench has started, and does to them what is ordered; when the orders end it lets all go on,
// opens all lanes and gives the processes back.
func operate(p clusterPlan, processes []process, lanes []lane, orders <-chan order, back chan<- []process) {
	names := append(slices.Clone(p.Names), "gateway")
	addrs := append(slices.Clone(p.Addrs), p.HTTP)
	argvs, cuts := commands(p), []step{}
	for o := range orders {
		at := slices.Index(names, o.Step.Node)
		if at < 0 && o.Step.Kind != faultHeal {
			o.Done <- fmt.Errorf("%w: nothing is called %q (there are %v)", errFault, o.Step.Node, names)
			continue
		}
		switch o.Step.Kind {
		case faultCut, faultRefuse, faultHeal:
			if cuts = append(cuts, o.Step); o.Step.Kind == faultHeal {
				cuts = nil
			}
			for _, l := range lanes {
				setLane(l, gatesOf(l, cuts))
			}
			var err error
			if len(lanes) == 0 {
				err = fmt.Errorf("%w: only a cluster whose connections go through bench can be cut", errFault)
			}
			o.Done <- err
		case faultStart:
			child, err := launch(p.Dir, names[at], argvs[at])
			if err != nil {
				o.Done <- err
				continue
			}
			processes[at] = child
			if at < p.Nodes {
				go awaitNode(child, addrs[at], o.Done)
			} else {
				go awaitGateway(child, addrs[at], o.Done)
			}
		default:
			go signalProcess(processes[at], o.Step.Kind, o.Done)
		}
	}
	for _, child := range processes {
		_ = child.cmd.Process.Signal(syscall.SIGCONT) // it may be gone
	}
	for _, l := range lanes {
		setLane(l, wholeLane)
	}
	back <- processes
}

// signs are the signals of the kinds of fault. The table never changes.
var signs = map[string]syscall.Signal{faultKill: syscall.SIGKILL, faultTerm: syscall.SIGTERM, faultPause: syscall.SIGSTOP, faultResume: syscall.SIGCONT}

// signalProcess sends a process a signal, and waits for its end if that is what it is to bring.
func signalProcess(p process, kind string, done chan<- error) {
	err := p.cmd.Process.Signal(signs[kind])
	if err != nil {
		done <- fmt.Errorf("%w: %s %s: %w", errFault, kind, p.name, err)
		return
	}
	if kind == faultKill || kind == faultTerm {
		select {
		case <-p.gone:
		case <-time.After(stopGrace):
			err = fmt.Errorf("%w: %s does not end within %v after %s", errFault, p.name, stopGrace, kind)
			_ = p.cmd.Process.Kill()
		}
	}
	done <- err
}

// performBy makes steps orders to an operator.
func performBy(orders chan<- order) perform {
	return func(s step) error {
		o := order{s, make(chan error, 1)}
		orders <- o
		return <-o.Done
	}
}

// performWith makes steps commands of the shell: templates are by the step's kind, and {node} in them is the node.
func performWith(templates map[string]string) perform {
	return func(s step) error {
		template := templates[s.Kind]
		if template == "" {
			return fmt.Errorf("%w: %s: no command is known for it (--fault-command %s='…{node}…')", errFault, s.text(), s.Kind)
		}
		out, err := exec.Command("sh", "-c", strings.ReplaceAll(template, "{node}", s.Node)).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s: %w: %s", errFault, s.text(), err, out)
		}
		return nil
	}
}

// timeline makes a script of steps at fixed times; one that takes long does not delay the next. What fails is reported, and fails the run.
func timeline(steps []step, do perform) script {
	return func(begin, from time.Time, events chan<- event, quit <-chan struct{}, ended chan<- error) {
		results, under := make(chan event, len(steps)), 0
		var failed error
		for len(steps) > 0 || under > 0 {
			var due <-chan time.Time
			if len(steps) > 0 {
				due = time.After(time.Until(from.Add(steps[0].At)))
			}
			select {
			case <-due:
				go act(steps[0], do, begin, results)
				steps, under = steps[1:], under+1
			case e := <-results:
				under--
				if events <- e; e.Err != "" && failed == nil {
					failed = fmt.Errorf("%w: %s: %s", errFault, e.Text, e.Err)
				}
			case <-quit:
				steps, quit = nil, nil
			}
		}
		ended <- failed
	}
}

// act does a step and tells of it.
func act(s step, do perform, begin time.Time, results chan<- event) {
	at := time.Now()
	err := do(s)
	e := event{At: at.Sub(begin), Took: time.Since(at), Kind: s.Kind, Text: s.text(), Heal: undo[s.Kind] == ""}
	if err != nil {
		e.Err = err.Error()
	}
	results <- e
}
