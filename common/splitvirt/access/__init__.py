"""Who is calling, and what they may do: the one decision point of both front ends."""
