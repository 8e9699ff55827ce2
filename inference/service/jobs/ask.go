package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"gimbal/inference"
)

// A question about a model goes to any worker that has it: gimbal.ask.QUESTION.FINGERPRINT.
const askSubject = "gimbal.ask"

// replyTime is how long a worker may take to answer before another one is asked.
const replyTime = 10 * time.Second

// ErrNoWorker says that no worker has the model now.
var ErrNoWorker = errors.New("no worker has this model now")

// PlanRequest asks what a job would take. It may lack prompts.
type PlanRequest struct {
	Settings inference.Job     `json:"settings"`
	LoRAs    map[string]string `json:"loras,omitempty"` // as in a Job
	Camera   bool              `json:"camera"`          // it will follow a path
	Width    int               `json:"width,omitempty"` // of its picture in pixels; 0 for a usual one
	Height   int               `json:"height,omitempty"`
	// Fit asks for settings that fit the worker's memory; Only is the one that may change, ""
	// for all.
	Fit  bool   `json:"fit,omitempty"`
	Only string `json:"only,omitempty"`
}

// PlanReply is a worker's answer.
type PlanReply struct {
	Plan    inference.Plan     `json:"plan"`
	Choices []inference.Choice `json:"choices,omitempty"` // that Fit made
	Failure *Failure           `json:"failure,omitempty"`
}

// TokensRequest asks how many tokens texts have.
type TokensRequest struct {
	Texts []string `json:"texts"`
}

// TokensReply is a worker's answer.
type TokensReply struct {
	Counts  []int    `json:"counts"` // of each text
	Limit   int      `json:"limit"`  // how many the model reads
	Failure *Failure `json:"failure,omitempty"`
}

// Answers are how a worker answers questions about a model. Each is called by one goroutine.
type Answers struct {
	Plan   func(context.Context, PlanRequest) PlanReply
	Tokens func(context.Context, TokensRequest) TokensReply
}

// Plan asks a worker that has the model.
func (s *Store) Plan(ctx context.Context, model string, r PlanRequest) (reply PlanReply, err error) {
	err = s.ask(ctx, "plan."+model, r, &reply)
	return reply, err
}

// Tokens asks a worker that has the model.
func (s *Store) Tokens(ctx context.Context, model string, r TokensRequest) (reply TokensReply, err error) {
	err = s.ask(ctx, "tokens."+model, r, &reply)
	return reply, err
}

func (s *Store) ask(ctx context.Context, subject string, question, reply any) error {
	text, err := json.Marshal(question)
	if err != nil {
		return err
	}
	var msg *nats.Msg
	err = s.tryFor(ctx, replyTime, func(ctx context.Context) (err error) {
		msg, err = s.nc.RequestWithContext(ctx, askSubject+"."+subject, text)
		if errors.Is(err, nats.ErrNoResponders) {
			return ErrNoWorker
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(msg.Data, reply); err != nil {
		return fmt.Errorf("a worker's answer: %w", err)
	}
	return nil
}

// Answer answers questions about a model until ctx ends.
func (s *Store) Answer(ctx context.Context, model string, a Answers) error {
	var subs []*nats.Subscription
	defer func() {
		for _, sub := range subs {
			sub.Unsubscribe() // or the connection is closed
		}
	}()
	for subject, answer := range map[string]func([]byte) any{
		"plan":   answering(ctx, a.Plan, PlanReply{Failure: unreadable}),
		"tokens": answering(ctx, a.Tokens, TokensReply{Failure: unreadable}),
	} {
		sub, err := s.nc.QueueSubscribe(strings.Join([]string{askSubject, subject, model}, "."), "workers", func(msg *nats.Msg) {
			text, err := json.Marshal(answer(msg.Data))
			if err == nil {
				err = msg.Respond(text)
			}
			if err != nil {
				s.o.Log.Warn("answering a question", "about", subject, "err", err)
			}
		})
		if err != nil {
			return err
		}
		subs = append(subs, sub)
	}
	<-ctx.Done()
	return ctx.Err()
}

var unreadable = &Failure{Text: "a question that cannot be read"}

// answering decodes a question and encodes its answer.
func answering[Question, Reply any](ctx context.Context, answer func(context.Context, Question) Reply, bad Reply) func([]byte) any {
	return func(text []byte) any {
		var q Question
		if json.Unmarshal(text, &q) != nil {
			return bad
		}
		return answer(ctx, q)
	}
}
