# Completion of zsc for fish: zsc completion fish > ~/.config/fish/completions/zsc.fish
function __zsc_words
    set -l given (commandline -opc)
    $given[1] completion --words fish $given (commandline -ct) 2>/dev/null
end
complete -c zsc -f -a '(__zsc_words)'
