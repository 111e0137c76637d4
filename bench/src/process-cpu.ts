/** CPU time of other processes, from /proc. */
import { readFile } from 'node:fs/promises'

/** Clock ticks of /proc/<pid>/stat per second; 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** User and system time of a process with all its threads, in seconds (resolution 10 ms). */
export async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}
