/** What the disk below a folder can do, to compare figures with. */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'

const PROBE_BYTES = 256 * 1024 * 1024
/** Synced as drives sync: in steps. */
const PROBE_STEP_BYTES = 8 * 1024 * 1024

/** Bytes per second of sequential writes on the same disk, each step synced. */
export async function probeDisk(folder: string): Promise<number> {
  const path = join(folder, 'probe')
  const file = await open(path, 'w')
  const step = Buffer.alloc(PROBE_STEP_BYTES, 0x5a)
  const started = performance.now()
  for (let at = 0; at < PROBE_BYTES; at += step.length) {
    await file.write(step)
    await file.datasync()
  }
  const seconds = (performance.now() - started) / 1000
  await file.close()
  await rm(path)
  return PROBE_BYTES / seconds
}
