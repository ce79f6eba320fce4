"""The worker's parent: a pool of children, which it forks, gives clients to, and believes little.

``stage``: a connection of imap-urlauth from accept to its end; ``pool``: which child is spare, and which is whom;
``policy``: how many, and when; ``protocol`` and ``monitor``: what parent and child may say to each other.
"""
