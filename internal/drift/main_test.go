package drift

import (
	"testing"

	"github.com/kubewandb/kubewandb/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }
