package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"gimbal/inference"
)

const planSubject = "gimbal.plan" // .FINGERPRINT

// ErrNoWorker says that no worker has the model now.
var ErrNoWorker = errors.New("no worker has this model now")

// PlanRequest asks what a job would take. It may lack a picture and prompts.
type PlanRequest struct {
	Settings inference.Job `json:"settings"`
	Camera   bool          `json:"camera"` // it will follow a path
}

// PlanReply is a worker's answer.
type PlanReply struct {
	Plan    inference.Plan `json:"plan"`
	Failure *Failure       `json:"failure,omitempty"`
}

// Plan asks a worker that has the model.
func (s *Store) Plan(ctx context.Context, model string, r PlanRequest) (reply PlanReply, err error) {
	text, err := json.Marshal(r)
	if err != nil {
		return reply, err
	}
	msg, err := s.nc.RequestWithContext(ctx, planSubject+"."+model, text)
	if errors.Is(err, nats.ErrNoResponders) {
		return reply, ErrNoWorker
	}
	if err != nil {
		return reply, err
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return reply, fmt.Errorf("a worker's plan: %w", err)
	}
	return reply, nil
}

// ServePlans answers questions about a model until ctx ends. answer is called by one
// goroutine.
func (s *Store) ServePlans(ctx context.Context, model string, answer func(context.Context, PlanRequest) PlanReply) error {
	sub, err := s.nc.QueueSubscribeSync(planSubject+"."+model, "workers")
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	for {
		msg, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return err
		}
		var r PlanRequest
		reply := PlanReply{Failure: &Failure{Text: "a question that cannot be read"}}
		if json.Unmarshal(msg.Data, &r) == nil {
			reply = answer(ctx, r)
		}
		text, err := json.Marshal(reply)
		if err == nil {
			err = msg.Respond(text)
		}
		if err != nil {
			s.o.Log.Warn("answering a question about a plan", "err", err)
		}
	}
}
