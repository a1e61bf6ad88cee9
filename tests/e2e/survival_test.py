#!/usr/bin/env python3
"""What a connection must survive, in short (in full: soak.py)."""

import case
import survival


class SurvivalTest(survival.Survival):
    def test_an_interactive_echo_survives_ten_kills(self):
        self.nc_echo(kills=10)

    def test_an_upload_with_a_kill_every_300_ms(self):
        self.upload_under_fire(384 * case.MIB, every=0.3, least=2)

    def test_nothing_acknowledged_is_missing_at_any_moment(self):
        happened = self.kills_at_random_moments(times=16, seed=1)
        self.assertGreater(happened["node"], 0)
        self.assertGreater(happened["keeper"], 0)

    def test_a_thousand_connections_survive_a_kill(self):
        self.many_connections(1000, size=16384, read_back=20)


if __name__ == "__main__":
    case.main()
