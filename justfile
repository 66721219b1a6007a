# What people type; each recipe is one script, which CI runs without just.

# The checks that every commit has to pass.
check:
    bash .ci/check

# The static binary and what else the image takes, under dist/: `just dist amd64 arm64`.
dist *arch:
    bash .ci/dist {{arch}}

# Action, workflows, Dockerfiles and scripts.
lint:
    bash .ci/lint

# The action under act, against the sandbox.
act:
    bash .ci/act

# Rewrites what is generated from the tables: action.yml, docs/inputs.md.
generate:
    UPDATE=1 cargo test --locked --test main contract
