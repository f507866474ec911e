package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/sys/unix"
)

// plainEvery is how many looks at a run make one line where there is no terminal.
const plainEvery = 5

// onTerminal says whether a file is a terminal.
func onTerminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// progressText is a run's state in a line.
func progressText(s snapshot) string {
	line := fmt.Sprintf("%6.0f/s  p50 %v  p99 %v  max %v  beyond %d  failed %d", s.Rate, short(s.P50), short(s.P99),
		short(s.Max), s.Late, s.Failed)
	if s.Stall > 0 {
		line += fmt.Sprintf("  own stall %v", short(s.Stall))
	}
	return line
}

// showPlain prints a run's state as lines, now and then and when a fault comes.
func showPlain(out io.Writer) func(shown <-chan snapshot, ended chan<- struct{}) {
	return func(shown <-chan snapshot, ended chan<- struct{}) {
		n, last := 0, ""
		for s := range shown {
			if n++; n%plainEvery == 0 || s.Event != "" || s.Phase != last {
				fmt.Fprintf(out, "%6v  %-5s %7d  %s  %s\n", s.At.Round(time.Second), s.Phase, s.Total, progressText(s), s.Event)
			}
			last = s.Phase
		}
		close(ended)
	}
}

// showBars shows a run's state as a bar for each phase; faults go by above them. totals are how many requests a phase
// has.
func showBars(totals map[string]int64) func(shown <-chan snapshot, ended chan<- struct{}) {
	return func(shown <-chan snapshot, ended chan<- struct{}) {
		bars, phase := mpb.New(mpb.WithWidth(40), mpb.WithOutput(os.Stderr)), ""
		var bar *mpb.Bar
		texts := make(chan string, 1) // the newest text, for the library's goroutine
		var newest func(decor.Statistics) string
		for s := range shown {
			if s.Phase == "" {
				continue
			}
			if s.Phase != phase {
				if bar != nil {
					bar.SetTotal(-1, true)
				}
				phase, newest = s.Phase, latestText(texts)
				name, text := decor.Name(fmt.Sprintf("%-5s ", phase)), decor.Any(newest)
				bar = bars.AddBar(max(totals[phase], 1), mpb.PrependDecorators(name, decor.Percentage()),
					mpb.AppendDecorators(text))
			}
			select {
			case <-texts:
			default:
			}
			texts <- progressText(s)
			bar.SetCurrent(int64(s.Total))
			if s.Event != "" {
				_, _ = fmt.Fprintf(bars, "%6v  %s\n", s.At.Round(time.Second), s.Event) // it is only for the eye
			}
		}
		if bar != nil {
			bar.SetTotal(-1, true)
		}
		bars.Wait()
		close(ended)
	}
}

// latestText makes a decorator that shows the newest text; it is called by one goroutine only.
func latestText(texts <-chan string) func(decor.Statistics) string {
	shown := ""
	return func(decor.Statistics) string {
		select {
		case shown = <-texts:
		default:
		}
		return shown
	}
}

// showTo chooses how a run is shown.
func showTo(quiet bool, totals map[string]int64) func(shown <-chan snapshot, ended chan<- struct{}) {
	switch {
	case quiet:
		return showPlain(io.Discard)
	case onTerminal(os.Stderr):
		return showBars(totals)
	}
	return showPlain(os.Stderr)
}
