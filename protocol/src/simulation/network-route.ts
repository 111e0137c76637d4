import type { Random } from '../ports.js'

/** How long bytes are under way, drawn evenly from this range. */
export interface DelayRange {
  readonly msMin: number
  readonly msMax: number
}

/** The way from one host to another, and what ails it. */
export class Route {
  delay: DelayRange
  /** Faults that hold bytes on this way. */
  holdCount = 0
  /** Faults that refuse connections on this way. */
  refuseCount = 0
  /** The next bytes are lost. */
  losesNext = false

  constructor(delay: DelayRange) {
    this.delay = delay
  }

  get held(): boolean {
    return this.holdCount > 0
  }

  drawDelayMs(random: Random): number {
    return this.delay.msMin + random.fraction() * (this.delay.msMax - this.delay.msMin)
  }
}

/** All routes, made when first asked for. */
export class Routes {
  private readonly routes: Map<string, Route> = new Map()
  private readonly delay: DelayRange

  constructor(delay: DelayRange) {
    this.delay = delay
  }

  get(from: string, to: string): Route {
    const name = `${from}\0${to}`
    let route = this.routes.get(name)
    if (route === undefined) {
      route = new Route(this.delay)
      this.routes.set(name, route)
    }
    return route
  }
}
