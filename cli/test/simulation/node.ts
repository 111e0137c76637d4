/** One machine of a simulated cluster: its process can be killed, paused and started again. */
import { FEATURE_LEVEL } from '@cairn/protocol'
import { SimulatedProcess } from './process.js'
import type { World } from './world.js'

/** All machines. */
export const NODE_NAMES: readonly string[] = [
  'metadata',
  'metadata-2',
  'chunk-1',
  'chunk-2',
  'chunk-3',
  'client-1',
  'client-2',
]

/** Pause before a process that could not start tries again, in ms. */
const START_AGAIN_MS = 200

export abstract class SimulatedNode {
  readonly name: string
  /** What its next process says that it supports. */
  featureLevel: number = FEATURE_LEVEL
  protected readonly world: World
  private process: SimulatedProcess | undefined
  private isReady = false
  private starts = 0

  constructor(name: string, world: World) {
    this.name = name
    this.world = world
  }

  /** The running process, whether or not it has finished starting. */
  get running(): SimulatedProcess | undefined {
    return this.process
  }

  /** The process has started. */
  get ready(): boolean {
    return this.isReady
  }

  start(): void {
    if (this.process !== undefined) return
    const process = new SimulatedProcess(`${this.name}#${++this.starts}`, this.world.clock)
    this.process = process
    this.resetConnections()
    this.world.trace.note(`${process.name} starts`)
    process.outcome(this.open(process)).then(
      () => this.opened(process),
      (error: unknown) => this.failed(process, error),
    )
  }

  /** Kills the process now and starts it again after `downMs`. */
  crash(downMs: number): void {
    if (this.process === undefined) return
    this.stop()
    this.world.clock.setTimer(downMs, () => this.start())
  }

  /** Kills the process for good. */
  stop(): void {
    if (this.process === undefined) return
    this.world.trace.note(`${this.process.name} is killed`)
    this.process.kill()
    this.process = undefined
    this.isReady = false
    this.world.network.crash(this.name, { silent: this.world.chance(0.3) })
    this.killed()
  }

  /** Ends in order, and starts again as another version. */
  async upgrade(featureLevel: number): Promise<void> {
    await this.close()
    this.featureLevel = featureLevel
    this.stop()
    this.start()
  }

  protected abstract open(process: SimulatedProcess): Promise<void>
  protected abstract killed(): void
  /** Lets what runs in the process end in order. */
  protected abstract close(): Promise<void>

  private opened(process: SimulatedProcess): void {
    if (this.process !== process) return
    this.isReady = true
    this.world.trace.note(`${process.name} is ready`)
  }

  /** Whoever holds a connection to an earlier life, which crashed silently, learns of its end, as by TCP's RST. */
  private resetConnections(): void {
    for (const peer of NODE_NAMES) if (peer !== this.name) this.world.network.dropConnections(this.name, peer)
  }

  private failed(process: SimulatedProcess, error: unknown): void {
    if (this.process !== process) return
    this.world.trace.note(`${process.name} could not start: ${error}`)
    this.crash(START_AGAIN_MS)
  }
}
