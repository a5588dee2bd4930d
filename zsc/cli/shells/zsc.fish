# Completion of zsc for fish: zsc completion fish > ~/.config/fish/completions/zsc.fish
function __zsc_words
    set -l given (commandline -opc)
    set -l word (commandline -ct)
    set -l plain (string unescape -- "$word")
    or set plain (string trim --left --chars '\'"' -- "$word")
    $given[1] completion --words fish $given "$plain" 2>/dev/null
end
complete -c zsc -f -a '(__zsc_words)'
