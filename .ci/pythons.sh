# shellcheck shell=sh
# Prints the path of a Python of this version that can make virtual environments.
find_python() {
  for candidate in "$(command -v "python$1" || true)" \
      "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python "$(command -v python3 || true)"; do
    [ -x "$candidate" ] || continue
    "$candidate" -c "import ensurepip, sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" \
      2>/dev/null && { echo "$candidate"; return; }
  done
  return 1
}
