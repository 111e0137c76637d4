/** CPU time and memory of other processes, and of the whole machine, from /proc. */
import { readFile } from 'node:fs/promises'

/** Clock ticks per second in /proc/<pid>/stat and /proc/stat; 100 on every Linux that Node supports. */
const TICKS_PER_SECOND = 100

/** User and system time of a process with all its threads, in seconds (resolution 10 ms). */
export async function cpuSeconds(pids: readonly number[]): Promise<number> {
  let total = 0
  for (const pid of pids) {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    total += (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }
  return total
}

/** Resident memory of the processes, in bytes. */
export async function residentBytes(pids: readonly number[]): Promise<number> {
  let total = 0
  for (const pid of pids) {
    const status = await readFile(`/proc/${pid}/status`, 'utf8')
    total += Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
  }
  return total
}

/** CPU time of the machine since it was started, in seconds, over all cores. */
export interface MachineTime {
  readonly busySeconds: number
  /** Taken by other guests of the same host. */
  readonly stealSeconds: number
  readonly totalSeconds: number
}

/** Reads /proc/stat. */
export async function machineTime(): Promise<MachineTime> {
  const line = (await readFile('/proc/stat', 'utf8')).split('\n')[0] ?? ''
  const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] = line
    .split(/\s+/)
    .slice(1)
    .map(Number)
  const busy = user + nice + system + irq + soft
  return {
    busySeconds: busy / TICKS_PER_SECOND,
    stealSeconds: steal / TICKS_PER_SECOND,
    totalSeconds: (busy + idle + wait + steal) / TICKS_PER_SECOND,
  }
}
