--- The circles of calls inside a folder that there are for now: its folder, the files of it that all
--- reach each other, and why. A circle that is not here fails the check, and so does one that is here
--- and has become smaller: this list only gets shorter.

return {
  { "bind", "op run runtime",
    "What a run waits for wakes it, and ends with it; the last run of a runtime ends that, with the runs it kept." },
  { "bind", "result run_answer run_error run_many",
    "What a function returned holds, of many keys, a result or an error of each." },
}
