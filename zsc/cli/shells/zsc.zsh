#compdef zsc
# Completion of zsc for zsh: eval "$(zsc completion zsh)"
_zsc() {
    local -a given found
    given=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    found=("${(@f)$("${(Q)words[1]}" completion --words zsh zsc "${(@)given}" 2>/dev/null)}")
    found=("${(@)found:#}")
    compadd -S '' -- "${(@M)found:#*[=./]}"
    compadd -- "${(@)found:#*[=./]}"
}
if ! (( $+functions[compdef] )); then
    autoload -Uz compinit && compinit
fi
compdef _zsc zsc
