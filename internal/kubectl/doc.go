// Package kubectl is the command line of people who run the operator: what `kubectl wandb` shows, and what it asks of the
// operator.
//
// It reads the custom resource and the Secrets beside it with the rights of whoever calls it, and writes one thing only:
// the requests in Secret <cr>-spec-user. It never writes the custom resource, which a GitOps tool would revert.
package kubectl

//go:generate go test -run ^TestTheReferenceIsUpToDate$ -update .
