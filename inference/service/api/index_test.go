package api

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"gimbal/inference/service/jobs"
)

func record(id jobs.ID, revision uint64) *jobs.Job {
	return &jobs.Job{ID: id, User: "ann", Status: jobs.Queued, Revision: revision}
}

// TestListen has a job come while a listener begins: it hears of that, too.
func TestListen(t *testing.T) {
	x := newIndex()
	var group sync.WaitGroup
	for n := range 2000 {
		id := jobs.ID(fmt.Sprint(n))
		begun := make(chan struct{})
		group.Go(func() {
			<-begun
			x.change(jobs.Change{ID: id + "b", Job: record(id+"b", 1)})
		})
		x.change(jobs.Change{ID: id + "a", Job: record(id+"a", 1)})
		close(begun)
		l := x.listen(func(j *jobs.Job) bool { return strings.HasPrefix(string(j.ID), string(id)) && len(j.ID) == len(id)+1 })
		group.Wait()
		if order, _ := l.take(); len(order) != 2 {
			t.Fatalf("listener %d heard of %v", n, order)
		}
		x.unlisten(l)
	}
}

// TestCreatedMeanwhile has a job come that what is told at the beginning leaves out.
func TestCreatedMeanwhile(t *testing.T) {
	x, u := newIndex(), User{Name: "ann"}
	x.change(jobs.Change{ID: "a", Job: record("a", 1)})
	answered := x.ask(u)
	answered(record("b", 2))
	x.change(jobs.Change{Complete: true})
	for _, id := range []jobs.ID{"a", "b"} {
		if _, err := x.get(id, u); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestDeletedMeanwhile deletes a job between its change and the answer.
func TestDeletedMeanwhile(t *testing.T) {
	x, u := newIndex(), User{Name: "ann"}
	x.change(jobs.Change{ID: "a", Job: record("a", 1)})
	x.change(jobs.Change{Complete: true})
	x.put(*record("a", 2))
	if j, err := x.get("a", u); err != nil || j.Revision != 2 {
		t.Errorf("changed: %+v, %v", j, err)
	}
	x.change(jobs.Change{ID: "a"})
	x.put(*record("a", 3))
	if _, err := x.get("a", u); err != jobs.ErrNotFound {
		t.Errorf("deleted: %v", err)
	}
}

// TestLimit asks for jobs at once: those that were not answered yet count.
func TestLimit(t *testing.T) {
	x, u := newIndex(), User{Name: "ann", Limit: 2}
	first, second := x.ask(u), x.ask(u)
	if x.ask(u) != nil {
		t.Error("three at once")
	}
	first(nil)
	first(nil)
	third := x.ask(u)
	if third == nil || x.ask(u) != nil {
		t.Error("one came to nothing")
	}
	second(record("a", 1))
	third(record("b", 2))
	if x.ask(u) != nil {
		t.Error("both are there")
	}
	ended := record("a", 3)
	ended.Status = jobs.Done
	x.put(*ended)
	if x.ask(u) == nil || x.ask(User{Name: "bob"}) == nil {
		t.Error("one is done, and another user has none")
	}
}
